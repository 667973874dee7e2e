import {Component, type ReactNode} from 'react';
import {View} from 'react-native';

import {useText} from '../i18n';
import {space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {Button} from './Button';
import {Row} from './Layout';
import {Words} from './Words';

type Props = {children: ReactNode; onLeave?: () => void; onError?: (error: Error) => void};

/** Around each screen: one that breaks takes nothing else with it, and there is a way out. */
export class ErrorBoundary extends Component<Props, {error: Error | null}> {
  override state: {error: Error | null} = {error: null};

  static getDerivedStateFromError(error: Error) {
    return {error};
  }

  override componentDidCatch(error: Error) {
    this.props.onError?.(error);
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    const again = () => this.setState({error: null});
    return (
      <Broken
        onAgain={again}
        {...(this.props.onLeave && {
          onLeave: () => {
            this.props.onLeave?.();
            again();
          },
        })}
      />
    );
  }
}

function Broken({onAgain, onLeave}: {onAgain: () => void; onLeave?: () => void}) {
  const t = useText();
  const {colors} = useTheme();
  return (
    <View role="alert" style={{flex: 1, justifyContent: 'center', padding: space.vast, gap: space.large, backgroundColor: colors.ground}}>
      <Words look="title">{t('brokenTitle')}</Words>
      <Words>{t('brokenText')}</Words>
      <Row>
        <Button look="main" label={t('tryAgain')} onPress={onAgain} />
        {onLeave && <Button label={t('home')} onPress={onLeave} />}
      </Row>
    </View>
  );
}
